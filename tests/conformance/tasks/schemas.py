"""The suite's tools whose input schemas matter. Names in them are the suite's."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ratchet import task


class address(BaseModel):  # noqa: N801
    """The definition that the suite looks for."""

    model_config = ConfigDict(json_schema_extra={"$anchor": "addressDef"})

    street: str | None = None
    city: str | None = None


@task(
    id="json_schema_2020_12_tool",
    constraints={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
    },
)
def contact(
    name: str = "",
    address: address | None = None,
    contactMethod: Literal["phone", "email"] | None = None,  # noqa: N803
    phone: str | None = None,
    email: str | None = None,
) -> str:
    """Tool with JSON Schema 2020-12 features."""
    return f"{name} of {address and address.city}: {phone if contactMethod == 'phone' else email}"


@task(id="test_header_parameter")
def header_parameter(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "") -> str:
    """Take a parameter that travels in a header as well."""
    return region
