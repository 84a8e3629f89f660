from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: EtherMirror -> out;
