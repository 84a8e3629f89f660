from :: FromDevice(in);
out :: ToDevice(out);
from -> p :: Classifier(0/61, -) -> SetVLANAnno(0x2005) -> n :: Null;
p[1] -> SetVLANAnno(0x2009) -> n -> e :: EtherVLANEncap(0x0800, 02:00:00:00:00:0b, 02:00:00:00:00:0a, ANNO, NATIVE_VLAN 9) -> out;
