"""The papermill engine: plain `papermill notebooks/X.ipynb OUT.ipynb -f params/...` runs ours with it.

Papermill loads this module by its entry point while it is itself half imported, and this module can also be the first
to be imported; so the engine stands here without papermill, and what runs a notebook is imported when one runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.errors import WrongUse

KEY = "towpath"  # notebooks whose metadata has this key are ours
_PAPERMILL_OWN = "PAPERMILL_"  # --inject-paths adds such parameters


class TowpathEngine:
    """`papermill --engine towpath`: redacted, saved atomically, honest about how it ended."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """Run the notebook and return it.  Raises WrongUse before a kernel starts when the parameters are refused."""
        from towpath.runs.account import execute

        refuse(nb)
        return execute(nb, kernel_name, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel that the notebook names, or the given one."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The language that the notebook names, or the given one."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))


class DefaultEngine(TowpathEngine):
    """What papermill uses when no engine is named: ours for our notebooks, its own for all others."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """Run the notebook with the engine that it needs, and return it."""
        from papermill.engines import NBClientEngine

        engine = TowpathEngine if KEY in nb.metadata else NBClientEngine
        return engine.execute_notebook(nb, kernel_name, **options)


def refuse(notebook: Mapping[str, Any]) -> None:
    """Refuse a notebook of ours before anything of it reaches a kernel or the disk.

    Raises WrongUse (PlanRefused) when a parameter is unknown, missing, of a wrong type or an inline secret, and
    WrongUse when a parameter or a cell holds a secret that this machine knows.
    """
    from towpath.plan.params import params_from
    from towpath.runs.redaction import learn, redact_value, root_of_files
    from towpath.secrets import scrub

    metadata = notebook.get("metadata", {})
    given = metadata.get("papermill", {}).get("parameters", {})
    parameters = {key: value for key, value in given.items() if not key.startswith(_PAPERMILL_OWN)}
    if KEY in metadata:
        params_from(parameters)
    learn(parameters, root_of_files())
    for key, value in parameters.items():
        if redact_value(value) != value:
            raise WrongUse(
                "holds a secret",
                object=f"parameter {key}",
                next="write env:NAME or file:PATH, and change that secret",
                code="PL005",
            )
    for number, cell in enumerate(notebook.get("cells", []), start=1):
        source = "".join(cell.get("source", ""))
        if cell.get("cell_type") == "code" and scrub(source) != source:
            name = cell.get("id") or number
            raise WrongUse("holds a secret", object=f"cell {name}", next="remove it from the notebook", code="PL005")


def register() -> None:
    """Make plain papermill use this engine for our notebooks, and write local files atomically."""
    from papermill.engines import papermill_engines

    from towpath.runs.saving import install

    papermill_engines.register(None, DefaultEngine)

    def refuse_ours(notebook: Mapping[str, Any]) -> None:
        if KEY in notebook.get("metadata", {}):
            refuse(notebook)

    install(refuse_ours)


register()
