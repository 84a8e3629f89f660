from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: IPInputCombo(COLOR 0, BADSRC 10.0.0.1, GOODDST 192.168.1.3) -> out;
