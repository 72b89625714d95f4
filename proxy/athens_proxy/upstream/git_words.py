"""What git says of a repository whose module path has the element `NAME.git`, where the go command keeps it to itself.

It tries https and then ssh, and says `no secure protocol found for repository` whatever git answered: that there is no
such repository, that the login was refused, that nobody is there. Only the first is absence, so git is asked once more.

Source: cmd/go/internal/vcs/vcs.go (repoRootFromVCSPaths), cmd/go/internal/web for the schemes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from athens_proxy.modules import ModulePath
from athens_proxy.upstream.process import Finished, run

AT_MOST_S: Final = 30.0
_HIDDEN: Final = b"no secure protocol found for repository"
_REPOSITORY: Final = re.compile(r"(.+?)\.git(?:/|\Z)")
_NOW_THERE: Final = b"fatal: the repository answers now, and did not before"

_WITHOUT_A_WORD: Final = b"fatal: git ended without a word"


def hides_git(done: Finished) -> bool:
    """Whether a run of the go command failed by what git said, and did not say it."""
    return done.exit_code > 0 and (_HIDDEN in done.stdout or _HIDDEN in done.stderr)


async def with_words_of_git(
    done: Finished, path: ModulePath, *, environment: Mapping[str, str], directory: Path, timeout_s: float
) -> Finished:
    """The same failure with git's own words; as it is, if git cannot be asked.

    Args:
        done: a run that `hides_git`.
        path: the module it was about.
        environment: of that run.
        directory: an empty one.
        timeout_s: seconds at most.

    Raises:
        TimeoutError: git is not done in time.
    """
    repository = _REPOSITORY.match(path.text)
    if repository is None:
        return done
    argv = ["git", "ls-remote", "-q", "--end-of-options", f"https://{repository[1]}"]
    try:
        asked = await run(argv, environment=environment, directory=directory, timeout_s=min(timeout_s, AT_MOST_S))
    except OSError:
        return done
    said = asked.stderr or _WITHOUT_A_WORD if asked.exit_code else _NOW_THERE
    return Finished(done.exit_code, b"", said)
