FromDevice(0) -> FullNoteQueue(2) -> RatedUnqueue(2, BURST_SIZE 1) -> ToDevice(0);
