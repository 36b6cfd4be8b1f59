"""What runs beside the author's code: the zygote and its children. Imports only stdlib, pydantic and msgpack."""

from pathlib import Path

ZYGOTE_MAIN = Path(__file__).with_name("zygote_main.py")
