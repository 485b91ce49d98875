"""What every test may ask for: the policy root, the fixtures, and one way to run hypothesis."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

from polkit.module import find_headers
from polkit.policy import TargetPolicy, load_policy

REPOSITORY = Path(__file__).resolve().parent.parent

# Policies are indexed once for all tests, and not into the user's own cache.
os.environ["XDG_CACHE_HOME"] = str(REPOSITORY / ".cache" / "tests")
(REPOSITORY / ".cache").mkdir(exist_ok=True)

# Started in the background of a shell, this process ignores SIGINT, and so would every command that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `ci` tries the same examples every time, so that a failure is the change's and not the draw's; `explore` looks further
# (HYPOTHESIS_PROFILE=explore script/test tests/audit).
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the checkout."""
    return REPOSITORY


def validator(name: str) -> Path:
    """A tool of others, set up where it is not there."""
    done = subprocess.run([REPOSITORY / "script/validators", name], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """The folder ``fixtures/``."""
    return REPOSITORY / "fixtures"


@pytest.fixture(scope="session")
def policy_root() -> Path:
    """The container host policy root: ``etc/selinux/NAME/policy/policy.NN`` and ``var/lib/selinux/NAME`` inside.

    Taken from ``POLKIT_POLICY_ROOT``, else built (once, cached) by ``script/policy``.
    """
    given = os.environ.get("POLKIT_POLICY_ROOT")
    if given is None:
        script = REPOSITORY / "script" / "policy"
        done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True)
        given = done.stdout.splitlines()[-1]
    root = Path(given)
    if not any(root.glob("etc/selinux/*/policy/policy.*")):
        pytest.fail(f"{root} holds no binary policy: run script/policy --force, or unset POLKIT_POLICY_ROOT")
    return root


@pytest.fixture(scope="session")
def policy(policy_root: Path) -> TargetPolicy:
    """The container host policy, loaded once."""
    return load_policy(str(policy_root))


@pytest.fixture(scope="session")
def headers_dir(policy_root: Path) -> Path:
    """The interfaces of the container host policy, as its distribution installs them."""
    return find_headers(roots=(policy_root, Path("/")))


@pytest.fixture(scope="session")
def kernel(repository: Path) -> Path:
    """A kernel image: POLKIT_KERNEL, else what script/machine finds or downloads."""
    named = os.environ.get("POLKIT_KERNEL")
    if not named:
        done = subprocess.run([repository / "script" / "machine"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no machine can be booted here: {done.stderr.strip()[-200:]}")
        named = done.stdout.splitlines()[-1]
    return Path(named)
