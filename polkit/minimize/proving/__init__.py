"""The proof: whether a module gives its evidence what it needs, nothing else, and breaks no rule of the policy.

``prove`` is the whole job. Each statement has a file of its own: ``covered``, ``minimal``, ``contained``, ``safe``.
"""

from __future__ import annotations

from polkit.minimize.proving.job import prove
from polkit.minimize.proving.proof import Extra, Figures, InheritedFigures, Proof, Uncovered
from polkit.minimize.proving.proof_json import proof_object, proof_summary, proof_text
from polkit.minimize.proving.subject import Subject, read_subject

__all__ = [
    "Extra",
    "Figures",
    "InheritedFigures",
    "Proof",
    "Subject",
    "Uncovered",
    "proof_object",
    "proof_summary",
    "proof_text",
    "prove",
    "read_subject",
]
