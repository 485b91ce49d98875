"""Texts of exporters from their templates."""

from __future__ import annotations


def rendered(template: str, **values: object) -> str:
    """A template of ``templates/export`` with its values. Every value is put in as it is: who calls this has escaped it
    for the language that the template is in."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polkit.bundle", "templates/export"),
        autoescape=False,  # noqa: S701 - not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(values)
