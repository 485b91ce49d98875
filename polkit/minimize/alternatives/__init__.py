"""What else could be done about a decision, what each would cost, and the plan as a person chose.

``offer`` lists the alternatives of every decision, each tried on the policy; ``choose`` makes the decisions those of
the alternatives that were picked. Both work on what was diagnosed, so that module, figures and proof follow the choice.
"""

from __future__ import annotations

from polkit.minimize.alternatives.applying import ask, choose
from polkit.minimize.alternatives.offering import offer
from polkit.minimize.alternatives.steps import Chooser, Offers, Step, nobody, steps_of

__all__ = ["Chooser", "Offers", "Step", "ask", "choose", "nobody", "offer", "steps_of"]
