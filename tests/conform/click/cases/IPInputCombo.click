from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: IPInputCombo(7, 10.0.0.9) -> CheckPaint(7) -> StoreIPAddress(20) -> out;
