from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> MarkIPHeader(0) -> SetIPAddress(10.0.0.9) -> e :: ICMPError(10.0.0.254, redirect, host) -> StoreIPAddress(8) -> out;
