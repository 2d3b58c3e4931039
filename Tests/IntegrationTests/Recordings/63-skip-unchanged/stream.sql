UPDATE k SET b='z'; UPDATE k SET a='z'; UPDATE k SET a='z';
