"""The configuration: read from file and environment, checked, and the same for the whole run.

Sources, strongest first: `MAILGOV_<SECTION>__<KEY>` in the environment, the file. Secrets are not
settings: keys and certificates are named by path, passwords live hashed in the database.
`mailgov.settings` holds every setting, `config.example.toml` names them all.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mailgov.errors import ConfigError
from mailgov.settings import (
    AddressBook,
    Api,
    Authentication,
    BackupSettings,
    Clients,
    Data,
    DatabaseSettings,
    Delivery,
    Dns,
    KiB,
    Lifecycle,
    Limits,
    Listen,
    Log,
    Mailstore,
    Metrics,
    MiB,
    Milter,
    Oidc,
    Paths,
    Policy,
    Readers,
    Relay,
    Roles,
    Scanner,
    Screening,
    SignIn,
    Signing,
    Site,
    Web,
)
from mailgov.whereabouts import find_config, read_settings

__all__ = [
    "AddressBook",
    "Api",
    "Authentication",
    "BackupSettings",
    "Clients",
    "Config",
    "Data",
    "DatabaseSettings",
    "Delivery",
    "Dns",
    "KiB",
    "Lifecycle",
    "Limits",
    "Listen",
    "Log",
    "Mailstore",
    "Metrics",
    "MiB",
    "Milter",
    "Oidc",
    "Paths",
    "Policy",
    "Readers",
    "Relay",
    "Roles",
    "Scanner",
    "Screening",
    "SignIn",
    "Signing",
    "Site",
    "Web",
    "example",
    "find_config",
    "load_config",
]


class Config(BaseSettings):
    """The whole configuration, immutable once read."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="MAILGOV_", env_nested_delimiter="__"
    )

    site: Site = Site()
    data: Data = Data()
    database: DatabaseSettings = DatabaseSettings()
    relay: Relay = Relay()
    screening: Screening = Screening()
    limits: Limits = Limits()
    readers: Readers = Readers()
    scanner: Scanner = Scanner()
    policy: Policy = Policy()
    authentication: Authentication = Authentication()
    signing: Signing = Signing()
    delivery: Delivery = Delivery()
    dns: Dns = Dns()
    mailstore: Mailstore = Mailstore()
    web: Web = Web()
    address_book: AddressBook = AddressBook()
    clients: Clients = Clients()
    backup: BackupSettings = BackupSettings()
    sign_in: SignIn = SignIn()
    lifecycle: Lifecycle = Lifecycle()
    roles: Roles = Roles()
    oidc: Oidc = Oidc()
    milter: Milter = Milter()
    api: Api = Api()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment beats the file, which arrives as init arguments."""
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        """The database address, with the default in the data folder."""
        return self.database.url or f"sqlite:///{self.data.path / 'mailgov.db'}"

    @property
    def certificate(self) -> Path:
        """PEM chain of the listeners."""
        return self.relay.certificate or self.data.path / "tls" / "cert.pem"

    @property
    def private_key(self) -> Path:
        """PEM key of the listeners."""
        return self.relay.private_key or self.data.path / "tls" / "key.pem"

    @property
    def help_base(self) -> str:
        """Where refusals and notices point to for help, without a final slash."""
        url = self.site.help_url or self.web.url or f"http://{self.web.listen}"
        return url.rstrip("/")

    @property
    def authserv_id(self) -> str:
        """Our name in Authentication-Results."""
        return self.policy.authserv_id or self.site.hostname


def load_config(path: Path | None, **changes: Any) -> Config:
    """Read and check the configuration; relative paths in it are relative to the file's folder.

    `changes` are sections laid over the file's (the demo's free ports). Raises ConfigError:
    `config-unreadable` with file and line, `config-not-valid` with each key and what was expected.
    """
    values = read_settings(path)
    for section, keys in changes.items():
        values[section] = {**values.get(section, {}), **keys}
    try:
        config = Config(**values)
    except ValidationError as exc:
        problems = "; ".join(
            f"`{'.'.join(str(step) for step in error['loc'])}`: {_expected(error)}"
            for error in exc.errors(include_url=False, include_input=False)
        )
        raise ConfigError("config-not-valid", file=path or "MAILGOV_*", problems=problems) from exc
    return _anchored(config, (path.parent if path else Path.cwd()).resolve())


def _expected(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "no such setting"
    text: str = error["msg"]
    return text.removeprefix("Value error, ")


def _anchored(config: Config, folder: Path) -> Config:
    """The same configuration with every path absolute."""
    update: dict[str, Any] = {}
    for name in type(config).model_fields:
        section = getattr(config, name)
        paths = {
            key: _anchored_value(value, folder)
            for key in type(section).model_fields
            if isinstance(value := getattr(section, key), Path)
            or (isinstance(value, list) and any(isinstance(one, Path) for one in value))
        }
        if paths:
            update[name] = section.model_copy(update=paths)
    return config.model_copy(update=update)


def _anchored_value(value: Path | list[Path], folder: Path) -> Path | list[Path]:
    return [folder / one for one in value] if isinstance(value, list) else folder / value


def example() -> str:
    """The text of config.example.toml: every setting with its purpose and its default."""
    lines = [
        "# Every setting of mailgov with its default. Copy what you change to config.toml or",
        "# /etc/mailgov/config.toml; MAILGOV_<SECTION>__<KEY> in the environment beats the file.",
        "# Paths are relative to the folder of the file.",
    ]
    for name, section in Config.model_fields.items():
        kind = section.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        lines += ["", f"# {(kind.__doc__ or '').splitlines()[0]}", f"[{name}]"]
        for key, setting in kind.model_fields.items():
            lines.append(f"# {setting.description}")
            default = setting.default
            unset = default is None
            lines.append(f'# {key} = ""' if unset else f"{key} = {_toml(default)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
