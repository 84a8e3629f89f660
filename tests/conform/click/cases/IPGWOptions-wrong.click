from :: FromDevice(in);
out :: ToDevice(out);
from -> Strip(14) -> MarkIPHeader(0) -> e :: IPGWOptions(10.0.0.254) -> out;
e[1] -> ICMPError(10.0.0.254, parameterproblem) -> out;
