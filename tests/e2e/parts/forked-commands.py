"""Runs Python commands, each in a fork of this process, which has imported them.

To import OpenStack's client takes two seconds of processor time, to run one of its commands a fraction of that. The
arguments are the console scripts, such as /usr/bin/openstack. Each line of the standard input is a command with its
arguments, as a JSON array; each gets a line on the standard output, {"exit": 0, "stdout": "", "stderr": ""}.
"""

import importlib
import json
import os
import re
import sys
import tempfile


def main_of(script):
    """Returns the function that a console script calls."""
    with open(script, encoding="utf-8") as file:
        module = re.search(r"^from (\S+) import main$", file.read(), re.MULTILINE).group(1)
    return importlib.import_module(module).main


def run_here(script, main, arguments, output, errors):
    """Ends this process as the console script would."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    sys.argv = [script, *arguments]
    sys.exit(main(arguments))


def run_forked(script, main, arguments):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            run_here(script, main, arguments, output, errors)
        _, status = os.waitpid(child, 0)
        return {
            "exit": os.waitstatus_to_exitcode(status),
            "stdout": text_of(output),
            "stderr": text_of(errors),
        }


def text_of(file):
    file.seek(0)
    return file.read().decode()


commands = {os.path.basename(script): (script, main_of(script)) for script in sys.argv[1:]}
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(run_forked(*commands[name], arguments)), flush=True)
