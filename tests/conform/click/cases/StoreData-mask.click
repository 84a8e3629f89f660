out :: ToDevice(out);
FromDevice(in) -> e :: StoreData(1, \<ff00>, MASK \<0f0f>) -> out;
