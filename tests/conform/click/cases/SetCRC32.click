FromDevice(0) -> SetCRC32 -> ToDevice(0);
