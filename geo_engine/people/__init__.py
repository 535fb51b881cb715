"""People as the channel knows them: numbers, phones, codes, consent, keywords, erasure. Rules only, nothing is kept."""
