FromDevice(0) -> CheckCRC32 -> ToDevice(0);
