out :: ToDevice(out);
FromDevice(in) -> e :: StoreData(2, "XYZ") -> out;
