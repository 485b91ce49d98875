"""RPM: a spec with the distribution's macros."""

from __future__ import annotations

from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.texts import rendered


def package_name(name: str) -> str:
    """What the package of a module is called: as the distributions call theirs."""
    return name if name.endswith("-selinux") else f"{name}-selinux"


def export(shipment: Shipment) -> Exported:
    """The spec."""
    module = shipment.project.config.module
    package = package_name(shipment.project.name)
    text = rendered(
        "rpm.spec.j2",
        name=shipment.project.name,
        package=package,
        version=shipment.project.version,
        summary=(module.summary or f"SELinux policy module {shipment.project.name}").replace("%", "%%"),
        license=(module.license or "NOASSERTION").replace("%", "%%"),
        archive=shipment.archive,
    )
    return Exported({f"{package}.spec": text.encode("utf-8")})


EXPORTER = Exporter("RPM spec, and a package where rpmbuild is installed", export)
