from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: SetIPChecksum -> out;
