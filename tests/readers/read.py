"""What others make of a report: `junit FILE` and `prometheus FILE` print what a program that reads such files has understood, as JSON."""

import json
import sys


def junit(path):
    from junitparser import JUnitXml

    xml = JUnitXml.fromfile(path)
    suites = list(xml) if xml._tag == "testsuites" else [xml]
    cases = [case for suite in suites for case in suite]
    kinds = {
        case.name: [type(result).__name__.lower(), result.type or "", result.message or "", (result.text or "").splitlines()]
        for case in cases
        for result in case.result
    }
    names = sorted(f"{case.classname} {case.name}" for case in cases)
    counts = [[s.name, s.tests, s.failures, s.errors, s.skipped] for s in suites]
    return {"suites": counts, "names": names, "results": kinds, "time": sum(case.time for case in cases) >= 0}


def prometheus(path):
    from prometheus_client.parser import text_fd_to_metric_families

    with open(path, encoding="utf-8") as file:
        families = list(text_fd_to_metric_families(file))
    return {
        family.name: {
            "type": family.type,
            "samples": [[sample.labels, sample.value, sample.timestamp] for sample in family.samples],
        }
        for family in families
    }


print(json.dumps({"junit": junit, "prometheus": prometheus}[sys.argv[1]](sys.argv[2])))
