// The sentences of the login page, in English and Korean.

export const WORDS = {
  en: {
    signIn: "Sign in",
    signInHint: "Enter the key that you were given. The operator of this service creates keys with “lookbook keys create”.",
    key: "Key",
    enter: "Sign in",
  },
  ko: {
    signIn: "로그인",
    signInHint: "받으신 키를 입력해 주세요. 키는 서비스 운영자가 “lookbook keys create” 명령으로 만듭니다.",
    key: "키",
    enter: "로그인",
  },
};
