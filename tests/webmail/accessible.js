/* What a page must not have, as a list of words: names, headings, labels, contrast, room. */
() => {
  const found = [];
  const name = (element) => element.outerHTML.slice(0, 120);
  const shown = (element) => element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true });
  const unseen = (element) => element.closest(".unseen, .skip");
  const ids = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (ids.has(element.id)) found.push("id twice: " + element.id);
    ids.add(element.id);
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  if (!document.documentElement.lang) found.push("no language");
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!shown(heading)) continue;
    const here = Number(heading.tagName[1]);
    if (here > level + 1) found.push("heading skips a level: " + name(heading));
    level = here;
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (shown(field) && !field.labels.length && !field.getAttribute("aria-label")) found.push("no label: " + name(field));
  }
  for (const element of document.querySelectorAll("a[href], button, summary")) {
    const words = element.textContent.trim() || element.getAttribute("aria-label");
    if (shown(element) && !words) found.push("no name: " + name(element));
    const box = element.getBoundingClientRect();
    const inline = getComputedStyle(element).display === "inline";
    if (shown(element) && !unseen(element) && !inline && (box.width < 24 || box.height < 24)) found.push("small target: " + name(element));
  }
  for (const link of document.querySelectorAll("a[href^='#']")) {
    if (!document.getElementById(link.hash.slice(1))) found.push("leads nowhere: " + name(link));
  }
  for (const attribute of ["aria-labelledby", "aria-describedby"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(" ")) if (!document.getElementById(id)) found.push(`${attribute} leads nowhere: ${id}`);
    }
  }
  for (const picture of document.querySelectorAll("img:not([alt]), svg:not([role=img]):not([aria-hidden])")) found.push("no words: " + name(picture));

  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(element) || unseen(element) || element.closest("script, style, noscript, option, [aria-disabled=true]")) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(1)}: ${name(element)}`);
  }
  const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (over > 0) found.push(`${over} pixels too wide`);
  return found;
}
