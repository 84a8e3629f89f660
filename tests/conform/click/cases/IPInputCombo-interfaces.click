from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: IPInputCombo(0, INTERFACES 10.0.0.254/24) -> out;
