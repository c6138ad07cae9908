"""Cards and what they may do; decides about charging only through the session, never at the contactor."""
