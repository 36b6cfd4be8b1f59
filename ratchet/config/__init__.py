"""The configuration: `load_config(project, environ=os.environ)` gives a `Config`."""

from ratchet.config.known import outward_secret_values, outward_variables, secret_values
from ratchet.config.loader import load_config
from ratchet.config.model import Config
from ratchet.config.secrets import Secret

__all__ = ["Config", "Secret", "load_config", "outward_secret_values", "outward_variables", "secret_values"]
