from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: StoreData(1, \<ff00>, MASK \<0f0f>) -> out;
