"""A plan in the language of Dovecot 2.4. https://doc.dovecot.org/2.4.1/"""

from mailgov.mailstore import master
from mailgov.mailstore.language_2_3 import helpers, root
from mailgov.mailstore.layout import SPECIAL_FOLDERS
from mailgov.mailstore.plan import FORBIDDEN_IN_FILTERS, LOGGED_ACTS, SHARED, Listener, Plan

VERSION = "2.4.0"  # of the language, and of the form of index files


def written(plan: Plan) -> str:
    """The whole configuration file."""
    parts = [_process(plan), _tls(plan), _backends(plan), _sign_in(plan)]
    if not plan.is_proxy:
        parts += [_mail(plan), _namespaces(), _search(plan), _filters(plan)]
    return "\n".join(part for part in [*parts, _services(plan)] if part)


def _process(plan: Plan) -> str:
    places = plan.places
    where = f"base_dir = {places.run}\nstate_dir = {places.run}\n"
    log = 'log_path = /dev/stderr\nlog_timestamp = ""\n' if plan.is_child else "log_path = syslog\n"
    identity = f"""default_internal_user = {places.user}
default_internal_group = {places.group}
default_login_user = {places.user}
"""
    return f"""# Written by mailgov; changes here are lost.
dovecot_config_version = {VERSION}
dovecot_storage_version = {VERSION}
{where if plan.is_child else ""}{log}protocols = {" ".join(plan.protocols)}
listen = {plan.imap[0]}
{identity if plan.is_child else ""}first_valid_uid = 1
mail_uid = {places.uid}
mail_gid = {places.gid}
"""


def _tls(plan: Plan) -> str:
    if plan.in_clear:
        return "ssl = no\nauth_allow_cleartext = yes\n"
    return f"""ssl = required
ssl_server_cert_file = {plan.certificate}
ssl_server_key_file = {plan.private_key}
ssl_min_protocol = TLSv1.2
"""


def _backends(plan: Plan) -> str:
    """Who may vouch for backends."""
    if plan.backend_authorities is None:
        return ""
    return f"ssl_client_ca_file = {plan.backend_authorities}\n"


def _sign_in(plan: Plan) -> str:
    trusted = " ".join(plan.trusted_proxies)
    return f"""auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %{{user | lower}}
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
auth_policy_request_attributes {{
  login = %{{requested_username}}
  remote = %{{remote_ip}}
  app = %{{passdb:app | default}}
  master = %{{master_user | default}}
}}
"""


def _masters(plan: Plan) -> str:
    if plan.questions is not None:
        sources = ["driver = sql\n  passdb_sql_query = " + plan.questions.master]
    else:
        sources = [f"driver = passwd-file\n  passwd_file_path = {p}" for p in plan.places.masters]
    return "".join(
        f"""passdb webmail-{number} {{
  {source}
  master = yes
  result_success = continue
}}
"""
        for number, source in enumerate(sources)
    )


def _directory(plan: Plan) -> str:
    places, questions = plan.places, plan.questions
    if questions is not None:
        apps = f"""passdb apps {{
  driver = sql
  passdb_sql_query = {questions.app_password}
}}
"""
        return f"""{_database(questions.connection)}{apps if plan.app_key else ""}passdb people {{
  driver = sql
  passdb_default_password_scheme = ARGON2ID
  passdb_sql_query = {questions.password}
}}
userdb homes {{
  driver = sql
  userdb_sql_query = {questions.user}
  userdb_sql_iterate_query = {questions.everybody}
}}
"""
    # Names of the first file are address and digest: looking one up is the check of the password.
    apps = f"""passdb apps {{
  driver = passwd-file
  passwd_file_path = {places.apps}
  auth_username_format = %{{user | lower}}/%{{password | sha256(salt="{plan.app_key}") | hexlify}}
}}
"""
    return f"""{apps if plan.app_key else ""}passdb people {{
  driver = passwd-file
  passwd_file_path = {places.users}
}}
userdb homes {{
  driver = passwd-file
  passwd_file_path = {places.homes}
}}
"""


def _database(connection: str) -> str:
    """`host=… dbname=… user=…` as the settings of 2.4."""
    host, _, rest = connection.partition(" ")
    lines = "".join(f"    {word}\n" for word in rest.split())
    return f"""sql_driver = pgsql
pgsql {host.removeprefix("host=")} {{
  parameters {{
{lines}  }}
}}
"""


def _mail(plan: Plan) -> str:
    return f"""# Names of folders are UTF-8 on the disk, as the embedded server writes them.
mail_driver = maildir
mail_path = ~/Maildir
mailbox_list_utf8 = yes
# The bytes that came are the bytes on the disk, line ends included.
mail_save_crlf = yes
mail_plugins = quota acl{" fts fts_xapian" if "xapian" in plan.features else ""}
mail_max_userip_connections = {plan.connections_per_user}
mail_log_prefix = "%{{protocol}}(%{{user}})<%{{auth_user}}><%{{session}}>: "
mail_log_events = {" ".join(LOGGED_ACTS)}
mail_log_fields = uid box msgid flags
lmtp_add_received_header = no
recipient_delimiter = +
quota "User quota" {{
  driver = count
}}
quota_storage_size = 1G
quota_full_tempfail = {"yes" if plan.full_mailbox == "temporary" else "no"}
acl_driver = vfile
acl_defaults_from_inbox = yes
# The webmail has the rights of whose mailbox it opens.
acl_user = %{{user}}
acl_sharing_map {{
  dict file {{
    path = {plan.places.shared}
  }}
}}
"""


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
  prefix = {SHARED}/$user/
  mail_path = %{{owner_home}}/Maildir
  subscriptions = no
  list = children
}}
"""


def _search(plan: Plan) -> str:
    if "xapian" not in plan.features:
        return ""
    return """fts xapian {
}
fts_autoindex = yes
"""


def _filters(plan: Plan) -> str:
    if not plan.filters:
        return ""
    forbidden = "\n".join(f"  {name} = no" for name in FORBIDDEN_IN_FILTERS)
    return f"""sieve_script own {{
  type = personal
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}}
sieve_script first {{
  type = before
  path = {plan.places.first_filter}
}}
sieve_extensions {{
{forbidden}
}}
sieve_max_redirects = 0
"""


def _services(plan: Plan) -> str:
    parts = (
        helpers() if plan.is_child else "",
        _imap(plan),
        _lmtp(plan) if "lmtp" in plan.features else "",
        _managesieve(plan),
    )
    return "\n".join(part for part in parts if part)


def _imap(plan: Plan) -> str:
    port = plan.imap[1]
    return f"""service imap-login {{
{root(plan)}  restart_request_count = unlimited
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
  mail_plugins {{
    imap_quota = yes
    notify = yes
    mail_log = yes
  }}
}}
"""


def _lmtp(plan: Plan) -> str:
    network = f"  inet_listener lmtp {{\n{_at(plan.lmtp)}  }}\n" if plan.lmtp else ""
    sieve = "  mail_plugins {\n    sieve = yes\n  }\n" if plan.filters else ""
    return f"""service lmtp {{
  unix_listener lmtp {{
    mode = 0600
  }}
{network}}}
protocol lmtp {{
{sieve}}}
"""


def _at(listener: Listener | None) -> str:
    if listener is None:
        return ""
    return f"    listen = {listener[0]}\n    port = {listener[1]}\n"


def _managesieve(plan: Plan) -> str:
    if "sieve" not in plan.protocols:
        return ""
    return f"""service managesieve-login {{
{root(plan)}  inet_listener sieve {{
{_at(plan.sieve)}  }}
}}
"""
