/* Comfort only: every page works without. Nothing here rewrites what is typed. */
"use strict";
(() => {
  const body = document.body;
  const byId = (id) => document.getElementById(id);
  const letter = byId("letter");

  for (const box of document.querySelectorAll("[data-shows]")) {
    box.closest("label").hidden = false;
    box.addEventListener("change", () => { byId(box.dataset.shows).type = box.checked ? "text" : "password"; });
  }
  for (const link of document.querySelectorAll("[data-sure]")) {
    link.addEventListener("click", (event) => { if (!confirm(link.dataset.sure)) event.preventDefault(); });
  }
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // A list: select all, and a range with Shift.
  const boxes = [...document.querySelectorAll(".messages input[name=message]")];
  const all = byId("all");
  if (all) {
    all.closest("label").hidden = false;
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
    let last = null;
    boxes.forEach((box, at) => box.addEventListener("click", (event) => {
      if (event.shiftKey && last !== null) {
        for (let i = Math.min(at, last); i <= Math.max(at, last); i++) boxes[i].checked = box.checked;
      }
      last = at;
      all.checked = boxes.every((one) => one.checked);
    }));
  }

  // Keys. Inactive in fields, while an input method composes, and with Ctrl, Alt or Meta.
  const links = [...document.querySelectorAll(".messages .what a")];
  const move = (step) => {
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + step))];
    if (next) next.focus();
  };
  const picked = () => document.activeElement.closest ? document.activeElement.closest("tr") : null;
  const press = (key) => {
    const row = picked();
    if (body.hasAttribute("data-list") && row && !boxes.some((box) => box.checked)) {
      const box = row.querySelector("input[name=message]");
      if (box) box.checked = true;
    }
    const target = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
    if (target) { target.click(); return true; }
    return false;
  };
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.ctrlKey && letter && event.key === "Enter") { event.preventDefault(); byId("send").click(); return; }
    if (event.ctrlKey && letter && event.key.toLowerCase() === "s") { event.preventDefault(); save(); return; }
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog")) return;
    const key = event.key;
    let done = true;
    if (going && { i: 1, s: 1, d: 1 }[key]) location.href = "/mail/" + { i: "inbox", s: "sent", d: "drafts" }[key];
    else if (key === "j" || key === "ArrowDown" && links.length) move(1);
    else if (key === "k" || key === "ArrowUp" && links.length) move(-1);
    else if (key === "o" && links.includes(document.activeElement)) document.activeElement.click();
    else if (key === "u" && byId("back")) byId("back").click();
    else if (key === "x" && picked()) { const box = picked().querySelector("input[name=message]"); if (box) box.click(); }
    else if (key === "c") location.href = "/compose";
    else if (key === "/" && byId("q")) byId("q").focus();
    else if (key === "z" && byId("undo")) byId("undo").click();
    else if (key === "?") location.href = "/help";
    else if (key === "s" && picked() && picked().querySelector(".star button")) picked().querySelector(".star button").click();
    else if (key === "Delete") done = press("#");
    else if ("e#!IUrafs".includes(key)) done = press(key);
    else done = false;
    going = key === "g";
    if (done) event.preventDefault();
  });

  if (!letter) return;

  // Writing: saved 5 s after a pause, checked 1.5 s after one. Nothing is kept in the browser.
  const path = body.dataset.compose;
  const field = (name) => letter.elements.namedItem(name);
  const state = { dirty: false, saving: null, checking: false, slow: 1, saveTimer: 0, checkTimer: 0, leaving: false };
  const written = () => ["to", "cc", "bcc", "subject", "body"].some((name) => field(name) && field(name).value.trim());
  const texts = () => {
    const form = new FormData(letter);
    for (const [name, value] of [...form]) if (value instanceof File) form.delete(name);
    return form;
  };
  const post = async (url, accept) => {
    const answer = await fetch(url, { method: "POST", body: texts(), headers: { Accept: accept } });
    byId("lost").hidden = true;
    if (answer.status === 401) { await signIn(); return post(url, accept); }
    return answer;
  };

  function save() {
    clearTimeout(state.saveTimer);
    if (!state.saving && !state.leaving && written()) state.saving = keep().finally(() => { state.saving = null; });
  }
  async function keep() {
    state.dirty = false;
    try {
      const answer = await post(path + "/save", "application/json");
      const told = await answer.json();
      if (answer.ok) { field("version").value = told.version; byId("saved").textContent = told.saved; }
      else if (answer.status === 409) { letter.requestSubmit(); }
      else { state.dirty = true; later(30000); }
    } catch { lost(); }
  }
  const later = (pause) => { clearTimeout(state.saveTimer); state.saveTimer = setTimeout(save, pause); };
  const lost = () => { byId("lost").hidden = false; state.dirty = true; later(5000); };

  async function check() {
    clearTimeout(state.checkTimer);
    if (state.leaving || !written()) return;
    if (state.checking) { state.checkTimer = setTimeout(check, 1500); return; }
    state.checking = true;
    const began = Date.now();
    try {
      const answer = await post(path + "/check?part=findings", "text/html");
      const panel = byId("findings");
      // A repair must not vanish under the pointer or the focus.
      if (answer.ok && !panel.contains(document.activeElement)) {
        const html = await answer.text();
        if (panel.dataset.shown !== html) { panel.innerHTML = html; panel.dataset.shown = html; }
        const counts = panel.querySelector(".counts");
        byId("check-count").textContent = counts ? counts.textContent : "";
        byId("check-count").hidden = !panel.querySelector(".finding");
      }
    } catch { lost(); }
    state.slow = Math.min(10, Math.max(1, (Date.now() - began) / 1000));
    state.checking = false;
  }

  function touched() {
    state.dirty = true;
    later(5000);
    clearTimeout(state.checkTimer);
    state.checkTimer = setTimeout(check, 1500 * state.slow);
  }
  letter.addEventListener("input", (event) => { if (event.target.type !== "file" && event.target.name !== "reason") touched(); });
  letter.addEventListener("change", (event) => {
    if (event.target.name === "files" && event.target.files.length) byId("attach").click();
    else if (event.target.type !== "file") touched();
  });
  letter.addEventListener("submit", (event) => {
    const began = state.leaving;
    state.leaving = true;
    clearTimeout(state.saveTimer);
    clearTimeout(state.checkTimer);
    if (!state.saving) return;
    // The save under way changes the version that this form must carry.
    event.preventDefault();
    if (!began) state.saving.then(() => letter.requestSubmit(event.submitter));
  });
  addEventListener("beforeunload", (event) => { if (state.dirty && !state.leaving && written()) event.preventDefault(); });
  addEventListener("offline", () => { byId("lost").hidden = false; });
  addEventListener("online", () => { byId("lost").hidden = true; save(); });
  if (written()) check();

  const drop = byId("files");
  letter.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("dropping"); });
  letter.addEventListener("dragleave", () => drop.classList.remove("dropping"));
  letter.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    byId("upload").files = event.dataTransfer.files;
    byId("attach").click();
  });
  letter.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    const target = byId(link.hash.slice(1));
    if (!target) return;
    event.preventDefault();
    const hidden = target.closest("details:not([open])");
    if (hidden) hidden.open = true;
    target.focus();
    target.scrollIntoView({ block: "center" });
    if (link.dataset.line && target.id === "body") {
      const lines = target.value.split("\n");
      const start = lines.slice(0, link.dataset.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
      target.setSelectionRange(start, start + lines[link.dataset.line - 1].length);
    }
  });

  // The sign-in ended: ask for the password here, then go on as if nothing had been.
  let asking = null;
  function signIn() {
    asking = asking || new Promise((resolve) => {
      const dialog = byId("sign-in"), second = byId("again-second");
      let step = "";
      dialog.showModal();
      dialog.querySelector("form").onsubmit = async (event) => {
        event.preventDefault();
        const form = new FormData();
        form.set("address", byId("again-address").value);
        form.set("password", byId("again-password").value);
        form.set("step", step);
        form.set("code", byId("again-code").value);
        const answer = await fetch(step ? "/login/code" : "/login", { method: "POST", body: form, headers: { Accept: "application/json" } }).catch(() => null);
        byId("again-password").value = byId("again-code").value = "";
        const said = answer ? await answer.json().catch(() => null) : null;
        const told = answer && answer.ok ? said : null;
        // The password was right and a second factor is on: ask for its code, then send both steps.
        step = (!told && said && said.step) || "";
        second.hidden = !step;
        byId("again-first").hidden = !!step;
        byId("sign-in-problem").hidden = told !== null || (said && said.error === "second-factor");
        if (step) byId("again-code").focus();
        if (!told) return;
        for (const hidden of document.querySelectorAll("input[name=csrf]")) hidden.value = told.csrf;
        dialog.close();
        asking = null;
        resolve();
      };
    });
    return asking;
  }
})();
