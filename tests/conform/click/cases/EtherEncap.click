out :: ToDevice(out);
FromDevice(in) -> e :: EtherEncap(0x0800, 02:00:00:00:00:0a, 02:00:00:00:00:0b) -> out;
