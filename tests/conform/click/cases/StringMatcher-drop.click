FromDevice(0) -> StringMatcher(bad, worse) -> ToDevice(0);
