"""Python's own tests of the modules that the arguments name: each test's outcome, by name.

A test that fails is run once more, since some depend on how busy the machine is; where that ends
otherwise, its outcome is "fails once, then ...": the caller's to judge. A crash of the process ends
all, and is seen. Of test_multiprocessing_fork the classes whose workers are threads are left out:
they fork nothing, and CPython 3.11's hang now and then by themselves.
"""
import importlib
import sys
import types
import unittest

import test.support

test.support.use_resources = []
test.support.verbose = False


def load(name):
    module = imported(name)
    for left_out in [one for one in vars(module) if one.startswith("WithThreads")]:
        delattr(module, left_out)
    return module


def imported(name):
    try:
        return importlib.import_module("test." + name)
    except ModuleNotFoundError:
        if name != "test_multiprocessing_fork":
            raise
        # Where only the file that all start methods share is installed.
        from test import _test_multiprocessing
        module = types.ModuleType("test." + name)
        sys.modules["test." + name] = module
        _test_multiprocessing.install_tests_in_module_dict(module.__dict__, "fork")
        # Its children import this module by name.
        del module.__dict__["TestStartMethod"]
        return module


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.of, self.failed = {}, {}

    def say(self, test, outcome):
        self.of[str(test)] = outcome

    def addSuccess(self, test):
        super().addSuccess(test)
        self.of.setdefault(str(test), "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(test, "skipped")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.say(test, "fails as expected")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.say(test, "succeeds unexpectedly")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.again(test)

    def addError(self, test, error):
        super().addError(test, error)
        self.again(test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.again(test)

    def again(self, test):
        self.say(test, "fails")
        self.failed[str(test)] = test


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


if __name__ == "__main__":
    if sys.argv[1] == "--probe":
        for name in sys.argv[2:]:
            load(name)
        sys.exit()
    for name in sys.argv[1:]:
        loader = unittest.defaultTestLoader
        outcomes = Outcomes()
        loader.loadTestsFromModule(load(name)).run(outcomes)
        if outcomes.failed:
            again = Outcomes()
            suite = unittest.TestSuite()
            for test in cases(loader.loadTestsFromModule(load(name))):
                if str(test) in outcomes.failed:
                    suite.addTest(test)
            suite.run(again)
            for test, outcome in again.of.items():
                outcomes.of[test] = outcome if outcome == "fails" else "fails once, then " + outcome
        print(name, outcomes.testsRun)
        for test, outcome in sorted(outcomes.of.items()):
            print(" ", test, outcome)
