from :: FromDevice(in);
out :: ToDevice(out);
from -> MarkMACHeader -> MarkIPHeader(14) -> e :: IPPrint(x, CONTENTS ascii, ETHER true) -> IPPrint(PAYLOAD hex, ID true) -> out;
