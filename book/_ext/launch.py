"""Buttons that open a chapter on Binder or Colab, from whatever copy of the repository this is.

The address is that of the variable BOOK_REPOSITORY, or else of the git remote `origin`; on GitHub's
own machines that is the fork that builds. Without one, or where neither service can fetch it, there
are no buttons. BOOK_BRANCH names the branch if it is not main.
"""

import os
import re
import subprocess

GITHUB = re.compile(r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def public_address(remote):
    """The https address of a repository on GitHub, or None for any other remote."""
    match = GITHUB.fullmatch(remote.strip())
    return match and f"https://github.com/{match[1]}"


def remote_of(folder):
    """The git remote `origin`, or nothing where there is no git or no remote."""
    command = ["git", "-C", str(folder), "config", "--get", "remote.origin.url"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def launch_options(address, branch):
    """The options of the theme that make the buttons."""
    return {
        "repository_url": address,
        "repository_branch": branch,
        "path_to_docs": "book",
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def add_buttons(app, config):
    """Give the theme the address of this copy, if it has one."""
    remote = os.environ.get("BOOK_REPOSITORY")
    address = public_address(remote_of(app.srcdir) if remote is None else remote)
    if address:
        branch = os.environ.get("BOOK_BRANCH", "main")
        config.html_theme_options = {
            **config.html_theme_options,
            **launch_options(address, branch),
        }


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", add_buttons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
