AlignmentInfo(c 4 2, d 4 2); ScheduleInfo(e 1.5);
FromDevice(0) -> c :: Align(4, 0) -> d :: Queue -> e :: Unqueue -> ToDevice(0);
