"""Answers for each line of standard input, `{"expression", "zone", "after", "count"}`, with the next
occurrences in whole seconds since 1970, or `null` where `cronsim` takes it for no expression."""

import json
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def answer(case):
    after = datetime.fromtimestamp(case["after"], timezone.utc).astimezone(ZoneInfo(case["zone"]))
    occurrences = []
    try:
        for occurrence in CronSim(case["expression"], after):
            occurrences.append(int(occurrence.timestamp()))
            if len(occurrences) == case["count"]:
                break
    except CronSimError:
        return None
    return occurrences


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
