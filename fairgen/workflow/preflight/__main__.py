"""Answer the questions of `preflight.probes`: a JSON list on standard input, and a line of answers on the
output.
"""

import json
import sys

from fairgen.workflow.preflight.probes import answer

if __name__ == "__main__":
    print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
