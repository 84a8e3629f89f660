FromDevice(0) -> CheckCRC32 -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> ToDevice(0);
