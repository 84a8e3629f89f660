from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: StoreData(2, "XYZ") -> out;
