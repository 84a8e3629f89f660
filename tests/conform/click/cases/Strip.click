from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: Strip(14) -> out;
