RatedSource("tick", RATE 10, LIMIT 3) -> ToDevice(0); FromDevice(0) -> Discard;
