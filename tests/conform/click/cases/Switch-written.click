FromDevice(0) -> Null -> e :: Switch;
e[0] -> StoreData(0, 0) -> ToDevice(0);
e[1] -> StoreData(0, 1) -> ToDevice(0);
Script(write e.switch 1);
