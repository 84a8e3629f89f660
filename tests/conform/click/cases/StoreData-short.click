from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: StoreData(1, \<ffaa>, MASK \<0f>) -> out;
