"""Names of modules and versions, and what is known of one revision; pure values that are checked once, at the edge."""

from athens_proxy.modules.names import ModulePath, ModuleVersion
from athens_proxy.modules.revision import RevInfo

__all__ = ["ModulePath", "ModuleVersion", "RevInfo"]
