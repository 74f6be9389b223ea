"""The words of the contract as frozen values. Imports nothing but the standard library."""
