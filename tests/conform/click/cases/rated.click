// A source at 10 packets a second between what comes.
RatedSource(DATA "\<00 11 22>x", RATE 10, LIMIT 3) -> ToDevice(1)
FromDevice(0) -> Queue -> ToDevice(1)
