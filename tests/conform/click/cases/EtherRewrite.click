from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: EtherRewrite(02:00:00:00:00:0c, 02:00:00:00:00:0a) -> out;
