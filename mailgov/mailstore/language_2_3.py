"""A plan in the language of Dovecot 2.3. https://doc.dovecot.org/2.3/"""

from mailgov.mailstore import master
from mailgov.mailstore.layout import SPECIAL_FOLDERS
from mailgov.mailstore.plan import FORBIDDEN_IN_FILTERS, LOGGED_ACTS, SHARED, Listener, Plan


def written(plan: Plan) -> str:
    """The whole configuration file."""
    parts = [_process(plan), _tls(plan), _backends(plan), _sign_in(plan)]
    if not plan.is_proxy:
        parts += [_mail(plan), _namespaces(), _plugins(plan)]
    return "\n".join([*parts, _services(plan)])


def _process(plan: Plan) -> str:
    places = plan.places
    where = f"base_dir = {places.run}\nstate_dir = {places.run}\n"
    log = "log_path = /dev/stderr\nlog_timestamp =\n" if plan.is_child else "log_path = syslog\n"
    identity = f"""default_internal_user = {places.user}
default_internal_group = {places.group}
default_login_user = {places.user}
"""
    return f"""# Written by mailgov; changes here are lost.
{where if plan.is_child else ""}{log}protocols = {" ".join(plan.protocols)}
listen = {plan.imap[0]}
{identity if plan.is_child else ""}first_valid_uid = 1
mail_uid = {places.uid}
mail_gid = {places.gid}
"""


def _tls(plan: Plan) -> str:
    if plan.in_clear:
        return "ssl = no\ndisable_plaintext_auth = no\n"
    return f"""ssl = required
ssl_cert = <{plan.certificate}
ssl_key = <{plan.private_key}
ssl_min_protocol = TLSv1.2
"""


def _backends(plan: Plan) -> str:
    """Who may vouch for backends.

    Login processes of 2.3 pass over `ssl_client_ca_file`, and from their chroot they see no authority of
    the system. What `<` reads, root reads, and they are given. Clients are asked for no certificate.
    """
    if plan.backend_authorities is None:
        return ""
    return f"ssl_ca = <{plan.backend_authorities}\nssl_require_crl = no\n"


def _sign_in(plan: Plan) -> str:
    trusted = " ".join(plan.trusted_proxies)
    return f"""auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %Lu
auth_master_user_separator = {master.SEPARATOR}
auth_failure_delay = 1 secs
{f"login_trusted_networks = {trusted}" if trusted else ""}
{_asking(plan)}{_masters(plan)}{_directory(plan)}"""


def _asking(plan: Plan) -> str:
    """A right password is asked about once it is right, so that app passwords can be told apart."""
    if plan.asking is None:
        return ""
    return f"""auth_policy_server_url = {plan.asking.url}
auth_policy_server_api_header = {plan.asking.header}
auth_policy_hash_nonce = {plan.asking.nonce}
auth_policy_check_before_auth = no
auth_policy_check_after_auth = yes
auth_policy_report_after_auth = yes
auth_policy_request_attributes = login=%{{orig_user}} remote=%{{rip}} app=%{{passdb:app}}
"""


def _masters(plan: Plan) -> str:
    sources = [("passwd-file", file) for file in plan.places.masters]
    if plan.questions is not None:
        sources = [("sql", plan.places.database.with_name("database-webmail.conf"))]
    return "".join(
        f"""passdb {{
  driver = {driver}
  args = {file}
  master = yes
  result_success = continue
}}
"""
        for driver, file in sources
    )


def _directory(plan: Plan) -> str:
    places = plan.places
    if plan.questions is not None:
        apps = f"""passdb {{
  driver = sql
  args = {places.database.with_name("database-apps.conf")}
}}
"""
        return f"""{apps if plan.app_key else ""}passdb {{
  driver = sql
  args = {places.database}
}}
userdb {{
  driver = sql
  args = {places.database}
}}
"""
    # Names of the first file are address and digest: looking one up is the check of the password.
    apps = f"""passdb {{
  driver = passwd-file
  args = username_format=%u/%{{sha256;salt={plan.app_key}:password}} {places.apps}
}}
"""
    return f"""{apps if plan.app_key else ""}passdb {{
  driver = passwd-file
  args = username_format=%u {places.users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {places.homes}
}}
"""


def database_file(plan: Plan, password_query: str) -> str:
    """The file that a passdb or userdb of SQL names."""
    assert plan.questions is not None
    apart = "" if password_query == plan.questions.password else "userdb_warning_disable = yes\n"
    return f"""# Written by mailgov; changes here are lost.
{apart}driver = pgsql
connect = {plan.questions.connection}
default_pass_scheme = ARGON2ID
password_query = {password_query}
user_query = {plan.questions.user}
iterate_query = {plan.questions.everybody}
"""


def _mail(plan: Plan) -> str:
    return f"""# Names of folders are UTF-8 on the disk, as the embedded server writes them.
mail_location = maildir:~/Maildir:UTF-8
# The bytes that came are the bytes on the disk, line ends included.
mail_save_crlf = yes
mail_plugins = {" ".join(_mail_plugins(plan))}
mail_max_userip_connections = {plan.connections_per_user}
mail_log_prefix = "%s(%u)<%{{auth_user}}><%{{session}}>: "
lmtp_add_received_header = no
recipient_delimiter = +
quota_full_tempfail = {"yes" if plan.full_mailbox == "temporary" else "no"}
"""


def _mail_plugins(plan: Plan) -> list[str]:
    names = ["quota", "acl"]
    if "xapian" in plan.features:
        names += ["fts", "fts_xapian"]
    return names


def _namespaces() -> str:
    folders = "\n".join(
        f"  mailbox {name} {{\n    auto = subscribe\n    special_use = {use}\n  }}"
        for name, use in SPECIAL_FOLDERS.items()
    )
    return f"""namespace inbox {{
  inbox = yes
  separator = /
{folders}
}}
namespace shared {{
  type = shared
  separator = /
  prefix = {SHARED}/%%u/
  location = maildir:%%h/Maildir:UTF-8
  subscriptions = no
  list = children
}}
"""


def _plugins(plan: Plan) -> str:
    lines = [
        "quota = count:User quota",
        "quota_rule = *:storage=1G",
        "quota_vsizes = yes",
        "acl = vfile",
        "acl_defaults_from_inbox = yes",  # a right to a mailbox is one to all its folders
        "acl_user = %u",  # the webmail has the rights of whose mailbox it opens
        f"acl_shared_dict = file:{plan.places.shared}",
        f"mail_log_events = {' '.join(LOGGED_ACTS)}",
        "mail_log_fields = uid box msgid flags",
    ]
    if "xapian" in plan.features:
        lines += [
            "fts = xapian",
            "fts_xapian = partial=3 full=20",
            "fts_autoindex = yes",
            "fts_enforced = no",
        ]
    if plan.filters:
        lines += [
            "sieve = file:~/sieve;active=~/.dovecot.sieve",
            f"sieve_before = {plan.places.first_filter}",
            f"sieve_extensions = {' '.join(f'-{name}' for name in FORBIDDEN_IN_FILTERS)}",
            "sieve_max_redirects = 0",
        ]
    return "plugin {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _services(plan: Plan) -> str:
    return "\n".join(
        part
        for part in (
            helpers() if plan.is_child else "",
            _imap(plan),
            _lmtp(plan) if "lmtp" in plan.features else "",
            _managesieve(plan),
        )
        if part
    )


def helpers() -> str:
    """Processes beside the services; 2.4 writes them alike."""
    return """service anvil {
  chroot =
  # Failures are counted by address, and all of the webmail comes from one: a stranger's typing
  # would slow down everybody.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
"""


def root(plan: Plan) -> str:
    """No other root for what a child starts; 2.4 writes it alike."""
    return "  chroot =\n" if plan.is_child else ""


def _imap(plan: Plan) -> str:
    port = plan.imap[1]
    return f"""service imap-login {{
{root(plan)}  service_count = 0
  process_min_avail = 1
  process_limit = 2
  client_limit = {plan.connections}
  inet_listener imap {{
    port = {port if plan.in_clear else 0}
  }}
  inet_listener imaps {{
    port = {0 if plan.in_clear else port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = {plan.connections}
  vsz_limit = 1G
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota notify mail_log
}}
"""


def _lmtp(plan: Plan) -> str:
    network = f"  inet_listener lmtp {{\n{_at(plan.lmtp)}  }}\n" if plan.lmtp else ""
    sieve = " sieve" if plan.filters else ""
    return f"""service lmtp {{
  unix_listener lmtp {{
    mode = 0600
  }}
{network}}}
protocol lmtp {{
  mail_plugins = $mail_plugins{sieve}
}}
"""


def _at(listener: Listener | None) -> str:
    if listener is None:
        return ""
    return f"    address = {listener[0]}\n    port = {listener[1]}\n"


def _managesieve(plan: Plan) -> str:
    if "sieve" not in plan.protocols:
        return ""
    return f"""service managesieve-login {{
{root(plan)}  inet_listener sieve {{
{_at(plan.sieve)}  }}
}}
"""
