"""Reloading: applies changed settings to a running server, without dropping connections.

Reloadable are the log level, most limits, anonymous access, plugins and the selection of tools. All other settings
wait for a restart. API keys need no reload. Everything is read and validated before anything changes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from tfo_mcp.application.budgets import ClientBudgets
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.ports import EventBus
from tfo_mcp.bootstrap.budgets import budgets_of
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.protection import protected_places
from tfo_mcp.bootstrap.security import call_policy_of
from tfo_mcp.domain.events import SettingsReloaded
from tfo_mcp.domain.failures import summary
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, redacted
from tfo_mcp.infrastructure.config.reference import Setting, settings_by_name
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.plugins.loader import PluginError

_CHANGEABLE_SECTIONS = frozenset({"limits", "tools"})
_FIXED = frozenset({"limits.history_bytes", "tools.max_result_bytes"})
_CHANGEABLE = frozenset({"logging.level", "mcp.plugins", "security.anonymous", "security.require_key"})
_log = structlog.get_logger("tfo_mcp.reload")


class Reloading:
    """Replaces the settings in effect.

    Args:
        settings: the settings in effect.
        reread: reads the settings again from the same sources.
        protected: the files that no caller may access, including plugins; updated by a reload.
        logging: the process's logging, None if its level must not change.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        definitions: Definitions,
        catalogs: Catalogs,
        policy: CallPolicy,
        budgets: ClientBudgets,
        bus: Bus,
        events: EventBus,
        protected: Protected,
        logging: Logging | None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._definitions = definitions
        self._catalogs = catalogs
        self._policy = policy
        self._budgets = budgets
        self._bus = bus
        self._events = events
        self._protected = protected
        self._logging = logging

    def shown(self) -> Mapping[str, Any]:
        """Return the settings in effect, without secrets."""
        return redacted(self._settings)

    async def __call__(self) -> Sequence[str]:
        """Reload, and return the problems; if there are any, nothing has changed."""
        try:
            settings = self._reread()
            waiting = self._waiting_for_restart(settings)
            in_effect = self._mixed(
                settings, waiting
            )  # a new address takes effect on restart; it must not decide access yet
            policy = call_policy_of(in_effect)
            await self._definitions.change(settings, self._catalogs, self._bus)
        except (ConfigurationError, PluginError) as problem:
            problems = str(problem).splitlines()
            return self._kept(problems)
        except Exception as problem:  # for example in a plugin's definitions
            return self._kept([f"the settings cannot be used: {summary(problem)}"])
        self._protected.replace(protected_places(in_effect))
        self._policy.replace(policy)
        self._budgets.resize(budgets_of(settings))
        if self._logging is not None:
            self._logging.set_level(settings.logging.level)
        self._settings = in_effect
        self._events.publish(SettingsReloaded(True))
        _log.info("the settings were reloaded")
        if waiting:
            _log.warning("some settings take effect only after a restart", settings=waiting)
        return ()

    def _kept(self, problems: Sequence[str]) -> Sequence[str]:
        _log.error("the settings were not reloaded", problems=problems)
        self._events.publish(SettingsReloaded(False))
        return problems

    def _waiting_for_restart(self, settings: Settings) -> list[str]:
        return [
            name
            for name, setting in settings_by_name().items()
            if _value(settings, setting) != _value(self._settings, setting)
            and (setting.section not in _CHANGEABLE_SECTIONS or name in _FIXED)
            and name not in _CHANGEABLE
        ]

    def _mixed(self, settings: Settings, waiting: Sequence[str]) -> Settings:
        """Return the new settings with the old values of those that wait for a restart."""
        changed: dict[str, dict[str, object]] = {}
        for name in waiting:
            setting = settings_by_name()[name]
            changed.setdefault(setting.section, {})[setting.key] = _value(self._settings, setting)
        sections = {name: getattr(settings, name).model_copy(update=values) for name, values in changed.items()}
        return settings.model_copy(update=sections)


def _value(settings: Settings, setting: Setting) -> object:
    return getattr(getattr(settings, setting.section), setting.key)
